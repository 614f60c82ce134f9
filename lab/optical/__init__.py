"""An emulated optical transport domain: its fibres and slots, the tunnels through it, and the controller that has them.

The domain controller is a RESTCONF server in the words of accord-otn. A tunnel that is up joins two routers.
"""
