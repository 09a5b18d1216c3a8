"""What all pages share: their state, their frame, numbers and times as people read them, and headers."""
