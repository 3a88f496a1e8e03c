"""How everything else reaches PostgreSQL: named queries, bounded calls, migrations, the embedded server."""
