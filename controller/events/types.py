"""Owns the names of events. Their data is JSON; upcasters (`upcasting`) bring old shapes up to date when they are read.

Streams: `device/<name>`, `plan/<id>`, `transaction/<id>`, `intent/<id>`, `change/<id>`, `services` (the L3SM
datastore), `daemon`.
"""

from typing import Final

DEVICE_SYNCED: Final = "device.synced"
"""Whole configuration read from a device: `config` {path: value}, `participant`, `modules`."""
DEVICE_CORRECTED: Final = "device.corrected"
"""Part of a device was read back and differed: `roots` [path], `config` {path: value}."""
DEVICE_ADOPTED: Final = "device.adopted"
"""Existing lines got an owner: `delta`."""
PLAN_CREATED: Final = "plan.created"
PLAN_APPROVED: Final = "plan.approved"
"""Somebody else than who asked for the plan agreed to it: `checksum`."""
TRANSACTION_PLANNED: Final = "transaction.planned"
"""`plan` whole, `comment`, `confirm_timeout_seconds`."""
TRANSACTION_PREFIX: Final = "transaction."
TRANSACTION_COMMITTED: Final = "transaction.committed"
TRANSACTION_ABORTED: Final = "transaction.aborted"
TRANSACTION_UNKNOWN: Final = "transaction.unknown"
TRANSACTION_ADOPTED: Final = "transaction.adopted"
"""Out-of-band values that the transaction's policies adopted: `device`, `delta`."""
SERVICES_CHANGED: Final = "services.changed"
"""`change`: an `L3smChange` as JSON; true when the transaction that carries it has committed."""
INTENT_SUBMITTED: Final = "intent.submitted"
INTENT_ADVANCED: Final = "intent.advanced"
INTENT_APPROVED: Final = "intent.approved"
"""Somebody committed the plan of an intent that begins later: it is committed when it begins."""
CHANGE_BEGUN: Final = "change.begun"
"""A change in stages (make-before-break) was asked for: `plan`, a `StagedPlan` as JSON."""
CHANGE_ADVANCED: Final = "change.advanced"
"""It took a step: `cue`, the `stage` that follows, and the `reason`."""
DAEMON_STARTED: Final = "daemon.started"
DAEMON_STOPPED: Final = "daemon.stopped"
