"""What commands write: tables and progress, over streams that may fail."""
