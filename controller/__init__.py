"""accord's daemon: from intents and services to planned, journaled, verified network transactions."""
