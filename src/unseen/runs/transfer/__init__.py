"""A run of transfer.py: what an encoder gains and forgets in fine-tuning."""
