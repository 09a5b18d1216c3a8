"""What an operator wants to know of a service: what works, what is wrong and what to do, how it is set up."""
