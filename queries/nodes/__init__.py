"""The nodes of the network: how each service URI does, and which nodes a gateway uses."""
