from . import callback, health, metrics
