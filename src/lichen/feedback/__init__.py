"""What comes back: labels to the predictions that wait for them."""
