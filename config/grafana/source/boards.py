"""Owns which dashboards there are."""

from config.grafana.source.assurance import ASSURANCE
from config.grafana.source.device import DEVICE
from config.grafana.source.internals import INTERNALS
from config.grafana.source.negotiation import NEGOTIATION
from config.grafana.source.overview import OVERVIEW
from config.grafana.source.service import SERVICE
from config.grafana.source.telemetry import TELEMETRY
from config.grafana.source.transactions import TRANSACTIONS
from config.grafana.source.tunnels import TUNNELS

BOARDS = (OVERVIEW, SERVICE, DEVICE, TRANSACTIONS, TUNNELS, ASSURANCE, TELEMETRY, NEGOTIATION, INTERNALS)
