"""Training: two Lightning tasks around one loss, and the one function from config to checkpoint."""
