"""Models that are changed or made here: fine-tuning for recoverability."""
