"""What people see. Views read snapshots of the ledger and never change anything."""
