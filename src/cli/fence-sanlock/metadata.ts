/** What `-o metadata` prints: the form is the fence agents' common one, the words are ours. */
export const AGENT_METADATA = `<?xml version="1.0" ?>
<resource-agent name="fence_sanlock" shortdesc="Fencing by watchdog and shared storage leases">
<longdesc>
A host is down when its lease on the shared storage could be taken. One that still runs is asked
through the storage to let its watchdog reset it.
</longdesc>
<vendor-url>https://pagure.io/sanlock</vendor-url>
<parameters>
	<parameter name="action" unique="0" required="1">
		<getopt mixed="-o &lt;action&gt;" />
		<content type="string" default="off" />
		<shortdesc lang="en">What to do</shortdesc>
	</parameter>
	<parameter name="path" unique="0" required="1">
		<getopt mixed="-p &lt;path&gt;" />
		<content type="string" />
		<shortdesc lang="en">The shared storage that holds the leases</shortdesc>
	</parameter>
	<parameter name="host_id" unique="0" required="1">
		<getopt mixed="-i &lt;host_id&gt;" />
		<content type="string" />
		<shortdesc lang="en">The number of the host on that storage, 1 to 128</shortdesc>
	</parameter>
</parameters>
<actions>
	<action name="on" />
	<action name="off" />
	<action name="status" />
	<action name="metadata" />
	<action name="sanlock_init" />
</actions>
</resource-agent>
`;
