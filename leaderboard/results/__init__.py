"""The results that testers post: authentication, validation, writing, and completion for reading."""
