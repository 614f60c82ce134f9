"""The episodes of the NaaS draft: scripted surroundings in which the real agents decide what happens."""
