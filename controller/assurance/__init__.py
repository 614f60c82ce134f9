"""The senses of the closed loop: what is wrong (RFC 9417), why, whom it hits, and what the intents make of it."""
