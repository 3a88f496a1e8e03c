"""The main job on real input, started by one command: leads in, a letter for each out, every one of them counted."""
