"""What tests share: a running service, an S3 server, and more."""
