# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every option of docker itself, of ``docker run`` and of ``docker create``, of docker 1.9 to 29.

With the hidden ones (--net, --dns-opt, Windows' own) and those that were removed (--lxc-conf): an
option that a client does not know makes it refuse the whole line, so to know too many costs
nothing. Taken from the sources of the docker client at each release of v1.9.0 to v29.7.2.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Table = Mapping[str, tuple[str, bool]]
    """How an option is written (``--env``, ``-e``) -> its long name, whether it takes a value."""

BOOLEAN = False
VALUE = True

_GLOBAL = {
    BOOLEAN: "debug,D help,h tls tlsverify version,v",
    VALUE: "config context,c host,H log-level,l tlscacert tlscert tlskey",
}
_CONTAINER = {
    BOOLEAN: """
        detach,d disable-content-trust help init interactive,i networking,n no-healthcheck
        oom-kill-disable privileged publish-all,P quiet,q read-only rm sig-proxy tty,t
        use-api-socket
    """,
    VALUE: """
        add-host annotation attach,a blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent
        cgroupns cidfile cpu-count cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime
        cpu-shares,c cpus cpuset cpuset-cpus cpuset-mems credentialspec detach-keys device
        device-cgroup-rule device-read-bps device-read-iops device-write-bps device-write-iops dns
        dns-opt dns-option dns-search domainname entrypoint env,e env-file expose gpus group-add
        health-cmd health-interval health-retries health-start-interval health-start-period
        health-timeout hostname,h init-path io-maxbandwidth io-maxiops ip ip6 ipc isolation
        kernel-memory label,l label-file link link-local-ip log-driver log-opt lxc-conf mac-address
        memory,m memory-reservation memory-swap memory-swappiness mount name net net-alias network
        network-alias oom-score-adj pid pids-limit platform publish,p pull restart runtime
        security-opt shm-size stop-signal stop-timeout storage-opt sysctl tmpfs ulimit user,u userns
        uts volume,v volume-driver volumes-from workdir,w
    """,
}


def table(command: str) -> Table:
    """Return the options of ``run`` or ``create``, or docker's own for an empty ``command``.

    ``create`` has those of ``run`` here (--detach, --sig-proxy): docker refuses them there.
    """
    options = {}
    for takes_value, words in (_CONTAINER if command else _GLOBAL).items():
        for word in words.split():
            name, _dummy, letter = word.partition(",")
            options["--" + name] = (name, takes_value)
            if letter:
                options["-" + letter] = (name, takes_value)
    return options
