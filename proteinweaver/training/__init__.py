"""Training: two Lightning tasks around one loss; one function from config to checkpoint."""
