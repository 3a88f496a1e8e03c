"""What a daemon shows of itself over HTTP: liveness, readiness, health and metrics, all from memory."""
