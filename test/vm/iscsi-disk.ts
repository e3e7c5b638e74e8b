import { existsSync } from 'node:fs';
import type { Patient } from './doctor-patient.ts';

/** Where Debian's packages tgt and open-iscsi are, if not installed: a folder with their files. */
const FOLDER = process.env['HOLDFAST_ISCSI'] ?? '';
const TGTD = `${FOLDER}/usr/sbin/tgtd`;
const ISCSIADM = `${FOLDER}/sbin/iscsiadm`;
const TARGET = 'iqn.2026-01.test.holdfast:disk';
const PORTAL = '127.0.0.1';

/** The only SCSI disk of a machine. */
export const ISCSI_DISK = '/dev/sda';

/** Why a machine cannot have a disk of iSCSI; null when it can. */
export function whyNoIscsi(): string | null {
  if (!existsSync(TGTD)) return `${TGTD} is not installed (tgt)`;
  return existsSync(ISCSIADM) ? null : `${ISCSIADM} is not installed (open-iscsi)`;
}

/**
 * The machine is target and initiator: a real session over its loopback, with the configuration of
 * Debian, by which a lost path is given up after 120 s. That its path answers is not asked for: a
 * machine beside other tests takes longer than 5 s at times.
 */
export async function attachIscsiDisk(patient: Patient, bytes: number): Promise<void> {
  await patient.shell(`${SEARCH}
    ip link set lo up
    modprobe -a iscsi_tcp sd_mod
    mkdir -p /etc/iscsi
    [ -e /etc/iscsi/iscsid.conf ] || cp ${FOLDER}/etc/iscsi/iscsid.conf /etc/iscsi
    sed -i '/noop_out/s/= .*/= 0/' /etc/iscsi/iscsid.conf
    echo InitiatorName=iqn.2026-01.test.holdfast:host >/etc/iscsi/initiatorname.iscsi
    truncate -s ${bytes} /run/lun
    run() { systemd-run --quiet --setenv=LD_LIBRARY_PATH="$LD_LIBRARY_PATH" "$@"; }
    run --unit=test-target --property=Type=notify ${TGTD} -f
    tgt() { tgtadm --lld iscsi "$@"; }
    tgt --op new --mode target --tid 1 -T ${TARGET}
    tgt --op new --mode logicalunit --tid 1 --lun 1 -b /run/lun
    tgt --op bind --mode target --tid 1 -I ALL
    run --unit=test-initiator --property=Type=forking ${FOLDER}/sbin/iscsid
    iscsiadm -m discovery -t sendtargets -p ${PORTAL}
    iscsiadm -m node -T ${TARGET} --login
    until [ -b ${ISCSI_DISK} ]; do sleep 0.2; done
    udevadm settle`);
}

const SEARCH = `export LD_LIBRARY_PATH=${FOLDER}/usr/lib/x86_64-linux-gnu
  export PATH=$PATH:${FOLDER}/usr/sbin:${FOLDER}/sbin`;

/** Types it where iscsiadm is found. @returns what it printed */
export function typesIscsi(patient: Patient, command: string): Promise<string> {
  return patient.shell(`${SEARCH}\n${command}`);
}
