"""What tgt 1.0.85 printed of its targets, and what is read out of it."""

from holdfast_drivers.iscsi.tgt import Connection, Target, parse_targets

PRINTED = """\
Target 3: iqn.2026-11.org.holdfast:v1.g1
    System information:
        Driver: iscsi
        State: ready
    I_T nexus information:
        I_T nexus: 2
            Initiator: iqn.2026-11.org.holdfast:host.a alias: storage-host
            Connection: 1
                IP Address: 172.17.0.1
    LUN information:
        LUN: 0
            Type: controller
            Backing store type: null
            Backing store path: None
            Backing store flags: 
        LUN: 1
            Type: disk
            Backing store type: rdwr
            Backing store path: /disks/a
            Backing store flags: 
    Account information:
        u1
        u2 (outgoing)
    ACL information:
        iqn.2026-11.org.holdfast:host.a
Target 9: iqn.2026-11.org.holdfast:v2.g2
    System information:
        Driver: iscsi
        State: ready
    I_T nexus information:
    LUN information:
        LUN: 0
            Type: controller
            Backing store path: None
    Account information:
    ACL information:
"""  # noqa: W291 - tgt ends some lines with a space


def test_targets_are_read_with_all_that_is_bound_to_them() -> None:
    """Each target comes with its LUNs, accounts, initiators and connections."""
    first, second = parse_targets(PRINTED)

    assert first == Target(
        number=3,
        name="iqn.2026-11.org.holdfast:v1.g1",
        luns=((1, "/disks/a"),),
        accounts=("u1", "u2"),
        initiators=("iqn.2026-11.org.holdfast:host.a",),
        connections=(Connection(2, 1, "iqn.2026-11.org.holdfast:host.a"),),
    )
    assert second == Target(number=9, name="iqn.2026-11.org.holdfast:v2.g2")
    assert parse_targets("") == ()
