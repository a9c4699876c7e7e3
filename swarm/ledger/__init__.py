"""The only room with SQL: the database, its rows as records, and the queries over them."""
