"""Owns Grafana's dashboards as code: what each panel asks and why; `make dashboards` writes the JSON from it."""
