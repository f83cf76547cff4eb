"""CycloneDDS with the SDK's message types, for serialised samples instead of Python objects.

The SDK's channels (`unitree_sdk2py.core.channel`) serialise with the generic codec, sleep 0.2 s
when a writer is made, and know one domain per process. This module makes the same DDS entities
with the same types, topics and quality of service, so that both can communicate.
"""

import socket
from typing import Any, Final
from weakref import WeakValueDictionary

from cyclonedds._clayer import ddspy_take, ddspy_write
from cyclonedds.core import (
    DDSException,
    InstanceState,
    ReadCondition,
    SampleState,
    ViewState,
    WaitSet,
)
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from unitree_sdk2py.core.channel import ChannelFactoryInitialize

from safe_locomotion.errors import BackendError, UnknownNameError

LOOPBACK: Final = "lo"
SIMULATION_DOMAIN: Final = 1  # the convention of the vendor's simulator
MAX_DOMAIN: Final = 230  # DDSI ports: 7400 + 250 domain must stay below 65536
_DEPTH: Final = 64  # messages that are kept until they are read; 0.13 s of states

_CONFIG: Final = """<CycloneDDS><Domain Id="any">
  <General><Interfaces>
    <NetworkInterface name="{interface}" priority="default" multicast="default"/>
  </Interfaces></General>
  {discovery}
</Domain></CycloneDDS>"""
# `lo` has no multicast. Participants find each other by their ports; each port has an index.
_LOOPBACK_DISCOVERY: Final = """<Discovery>
  <ParticipantIndex>auto</ParticipantIndex>
  <MaxAutoParticipantIndex>60</MaxAutoParticipantIndex>
  <Peers><Peer address="localhost"/></Peers></Discovery>"""


class _OpenDomain:
    """A domain that participants of this process hold; it ends with the last of them.

    Its end frees the ports and descriptors of the domain.
    """

    def __init__(self, domain: int, interface: str) -> None:
        discovery = _LOOPBACK_DISCOVERY if interface == LOOPBACK else ""
        config = _CONFIG.format(interface=interface, discovery=discovery)
        self.interface = interface
        self._entity = Domain(domain, config)


class _Participant(DomainParticipant):
    """A participant that holds its domain.

    Python deletes the participant before what it holds, and its readers and writers before that,
    because they hold it in turn. DDS wants this order.
    """

    def __init__(self, number: int, domain: _OpenDomain | None) -> None:
        super().__init__(number)
        self._domain = domain


_open: WeakValueDictionary[int, _OpenDomain] = WeakValueDictionary()
_sdk_channels: dict[int, str] = {}  # interface of each domain that the SDK's channels keep open


def join_domain(domain: int, interface: str) -> DomainParticipant:
    """Join `domain` on exactly one network interface.

    The domain ends with its last participant. It can then be joined again, on any interface.

    Raises:
        BackendError: an unknown interface or domain, a domain that this process uses on another
            interface, or no free port.
    """
    _require_known(domain, interface)
    try:
        return _Participant(domain, _domain_on(domain, interface))
    except DDSException as error:
        raise BackendError(
            f"DDS domain {domain} on {interface} cannot be joined ({error.msg}). Another program"
            " may hold its ports, or this process already opened the domain through the SDK."
            f" Close that program, or choose another domain of 0..{MAX_DOMAIN}"
        ) from error


def join_sdk_channels(domain: int, interface: str) -> None:
    """Initialise the SDK's own channel factory for its remote procedure calls.

    This works once per process and before `join_domain`.

    Raises:
        BackendError: as `join_domain`.
    """
    _require_known(domain, interface)
    if _sdk_channels.get(domain) == interface:
        return
    if _sdk_channels or _open:
        raise BackendError(
            "the SDK's channels must be initialised before any other DDS domain;"
            f" this process already opened {[*_sdk_channels, *_open]}"
        )
    try:
        ChannelFactoryInitialize(domain, interface)
    except Exception as error:  # the SDK raises bare Exception
        raise BackendError(
            f"the SDK cannot open DDS domain {domain} on {interface}: {error}"
        ) from error
    _sdk_channels[domain] = interface


def _require_known(domain: int, interface: str) -> None:
    names = [name for _, name in socket.if_nameindex()]
    if interface not in names:
        raise BackendError(str(UnknownNameError("network interface", interface, names)))
    if not 0 <= domain <= MAX_DOMAIN:
        raise BackendError(
            f"DDS domain {domain} is not in 0..{MAX_DOMAIN};"
            f" a robot is on 0, the simulator on {SIMULATION_DOMAIN}"
        )


def _domain_on(domain: int, interface: str) -> _OpenDomain | None:
    """The open domain; None if the SDK's channels own it. It has one configuration at a time."""
    opened = _open.get(domain)
    in_use = _sdk_channels.get(domain) if opened is None else opened.interface
    if in_use not in (None, interface):
        raise BackendError(
            f"DDS domain {domain} is already open on {in_use!r} in this process,"
            f" so it cannot be opened on {interface!r}"
        )
    if in_use is None:
        opened = _OpenDomain(domain, interface)
        _open[domain] = opened
    return opened


class RawReader:
    """Takes serialised samples of one topic."""

    def __init__(
        self,
        participant: DomainParticipant,
        topic: str,
        message_type: Any,
        *,
        ignore_own: bool = False,
    ) -> None:
        policies = [Policy.Reliability.BestEffort, Policy.History.KeepLast(_DEPTH)]
        if ignore_own:
            policies.append(Policy.IgnoreLocal.Participant)
        self._reader: Any = DataReader(
            participant, Topic(participant, topic, message_type), Qos(*policies)
        )
        self._mask = ViewState.Any | InstanceState.Any | SampleState.NotRead
        self._condition: Any = ReadCondition(self._reader, self._mask)
        self._waitset: Any = WaitSet(participant)
        self._waitset.attach(self._condition)

    def take(self) -> list[bytes]:
        """All samples since the last take, oldest first, without waiting."""
        taken = ddspy_take(self._reader._ref, self._mask, _DEPTH)
        return [] if isinstance(taken, int) else [data for data, info in taken if info.valid_data]

    def wait(self, timeout_s: float) -> bool:
        """Wait until a sample can be taken; other Python threads run meanwhile."""
        return bool(self._waitset.wait(max(0, int(timeout_s * 1e9))))

    def matched_publishers(self) -> int:
        """Number of publishers connected to this reader."""
        return len(self._reader.get_matched_publications())


class RawWriter:
    """Writes serialised samples on one topic."""

    def __init__(self, participant: DomainParticipant, topic: str, message_type: Any) -> None:
        # Reliable writers match reliable and best-effort readers. Without blocking time, a reader
        # that does not acknowledge cannot delay the control loop.
        policies = Policy.Reliability.Reliable(max_blocking_time=0), Policy.History.KeepLast(1)
        self._writer: Any = DataWriter(
            participant, Topic(participant, topic, message_type), Qos(*policies)
        )

    def write(self, raw: bytes) -> bool:
        """Give a sample to the transport; False when the transport refuses it."""
        return bool(ddspy_write(self._writer._ref, raw) >= 0)

    def matched_subscribers(self) -> int:
        """Number of subscribers connected to this writer."""
        return len(self._writer.get_matched_subscriptions())
