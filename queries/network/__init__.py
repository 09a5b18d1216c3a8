"""What was tested in the network: its pipelines, and how much with what success."""
