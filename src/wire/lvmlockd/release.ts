/** The release of lvm2 whose lvmlockd and lvmlockctl are spoken here. */
export const LVM_RELEASE = '2.03.16';
