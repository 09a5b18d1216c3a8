"""The service and its neighbours on trial, each in processes of its own."""
