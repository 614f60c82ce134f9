"""Real forwarding in Linux namespaces: the data plane that carries packets.

Owns everything below the port of `lab.planes` that needs a kernel. Three kinds of processes, none of them the lab's
own: the `keeper` that makes namespaces, an `agent` for each router inside its namespace, and `wires` that join ports.
"""
