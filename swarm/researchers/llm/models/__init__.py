"""The services that language models are asked through: what is asked of one (protocol.py), and one file each."""
