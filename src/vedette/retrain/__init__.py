"""The room of retrain."""
