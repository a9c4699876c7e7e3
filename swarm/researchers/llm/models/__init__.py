"""The services that language models are asked through, one file each."""
