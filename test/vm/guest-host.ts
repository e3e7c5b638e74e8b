import { until } from '../../src/rig/run.ts';
import { BARE_QEMU_CONF } from '../interop/libvirt-host.ts';
import { ROOT } from './initramfs.ts';
import type { LifeHost } from './life-host.ts';

/** The leases of the guests, on all hosts. */
const LEASES = '/srv/leases';
const JOINED = /: lockspace\.joined lockspace=__LIBVIRT__DISKS__/;
const JOINED_WITHIN = { withinMs: 240_000, everyMs: 200 };
/** Of the guard, which has none itself. */
const PID_FILE = '/run/guard.pid';

export const HOLDFAST = `${ROOT}/bin/holdfast`;

/** Of a host in the network of machines one and two. */
export function addressOf({ hostId }: LifeHost): string {
  return `10.9.0.${hostId}`;
}

/**
 * libvirtd without its plugin, and the guard, as an administrator installs it; this machine has no
 * systemd, so both are started by hand. Resolves when guests can be started.
 */
export async function startGuard(host: LifeHost, ioTimeoutS: number): Promise<void> {
  const { hostId } = host;
  await host.does(`modprobe virtio_net
    udevadm settle # it gives the card another name
    card=$(ls /sys/class/net | grep -v lo)
    ip link set lo up
    ip link set $card up
    ip addr add ${addressOf(host)}/24 dev $card
    mkdir -p ${LEASES} /etc/libvirt /etc/holdfast
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none shared ${LEASES}
    grep -q ^libvirt-qemu /etc/passwd || {
      echo libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin >>/etc/passwd
      echo libvirt-qemu:x:64055: >>/etc/group
    }
    cat >/etc/libvirt/qemu.conf <<END
    ${BARE_QEMU_CONF.join('\n')}
END
    cat >/etc/libvirt/libvirtd.conf <<END
    host_uuid = "${hostId}1111111-2222-4222-8222-222222222222"
    auth_unix_ro = "none"
    auth_unix_rw = "none"
    unix_sock_group = "root"
    listen_tls = 0
    listen_tcp = 1
    auth_tcp = "none"
    log_outputs = "3:file:/dev/console"
END
    cat >/etc/holdfast/guard.conf <<END
    host_id = ${hostId}
    disk_lease_dir = "${LEASES}"
    io_timeout = ${ioTimeoutS}
END`);
  host.machine.start(['/usr/sbin/libvirtd', '--listen', '-f', '/etc/libvirt/libvirtd.conf']);
  await host.does('until virsh -q list >/run/answer 2>&1; do sleep 0.2; done');
  await host.does(`${HOLDFAST} guard install`, /wrote the hook .*\n.*had libvirtd .* by SIGHUP/s);
  const log = host.log();
  serveGuard(host);
  const isJoined = () => JOINED.test(log.since());
  await until(`the guard of ${host.machine.name} has joined`, isJoined, JOINED_WITHIN);
}

export function serveGuard(host: LifeHost): void {
  host.machine.start(['/bin/sh', '-c', `echo $$ >${PID_FILE}; exec ${HOLDFAST} guard serve`]);
}

/** kill -9; its keepers stay. */
export async function killGuard(host: LifeHost): Promise<void> {
  await host.does(`pid=$(cat ${PID_FILE})
    kill -9 $pid
    while kill -0 $pid 2>&-; do sleep 0.1; done`);
}

/** Live, by an administrator of the host where the guest runs. */
export function migration(guest: string, to: LifeHost): string {
  const address = addressOf(to);
  return `virsh migrate --live ${guest} qemu+tcp://${address}/system tcp://${address}`;
}
