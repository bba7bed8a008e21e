"""The kubelet API of the virtual cluster's nodes: logs, exec, attach and port-forward.

Every virtual node leads the virtual API server to this server, which plays the kubelet: it checks who calls, finds the host pod
and passes bytes to and from the host API server's subresource of that pod. No stream is parsed, so that every protocol that
client and host agree on works, today's and tomorrow's.

    routes      what is asked -> what to ask the host, or a refusal          pure
    answers     what went wrong, in words that a kubectl user understands    pure
    tls         a connection whose two directions live and end on their own
    upstream    the request to the host API server
    splice      bytes both ways, and an end in which none is lost
    server      the listener: client certificate, request head, limits, draining
"""
