"""How good a model is: metrics with intervals, beside a baseline, by slice; the gate; the model card."""
