"""The project's pages, and the small programs that write their generated parts."""
