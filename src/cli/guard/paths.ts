/** Of the guard on each host. */
export const GUARD_SOCKET = '/run/holdfast/guard.sock';
export const GUARD_PID_FILE = '/run/holdfast/guardd.pid';
export const GUARD_RECORDS = '/run/holdfast/guests';
/** Of libvirtd, for QEMU. */
export const GUEST_FILES = '/run/libvirt/qemu';
/** The lockspace of libvirt's plugin, and its file in the directory of the leases. */
export const GUEST_LOCKSPACE = '__LIBVIRT__DISKS__';
