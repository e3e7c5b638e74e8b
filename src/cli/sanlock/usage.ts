/** What `sanlock help` prints, in our words; actions and options are those of sanlock 3.8.5. */
export const USAGE = `Usage:
sanlock <command> <action> ...

commands:
  daemon        run the lease daemon of this host
  client        ask the daemon (taken for granted when the first word is an action)
  direct        work on storage without the daemon; nothing coordinates it
  help          show this text (defaults in parentheses)
  version       show the version

sanlock daemon [options]
  --check       say what is wrong with these options and sanlock.conf, and end
  --help        show this text
  -D            stay in the foreground, log everything to stderr
  -Q 0|1        keep quiet about ordinary contention (1)
  -R 0|1        log each renewal (0)
  -H <num>      renewals remembered per lockspace (180)
  -L <pri>      log this level and worse to the log file; -1 never (4, warning)
  -S <pri>      log this level and worse to syslog; -1 never (3, error)
  -U <user>     run as this user, a name or a number
  -G <group>    run as this group, a name or a number
  -t <num>      at most this many commands at work (8)
  -g <sec>      seconds a process gets to stop by itself in recovery (40)
  -w 0|1        use the watchdog through wdmd (1)
  -h 0|1        run with real-time priority (0)
  -l <num>      lock memory: 0 none, 1 current, 2 current and future (1)
  -b <sec>      seconds a host's bit stays set in our delta lease (6 * io timeout)
  -e <str>      name of this host in delta leases (a new uuid)

sanlock client <action> [options]
sanlock client status [-D] [-o p|s]
sanlock client gets [-h 0|1]
sanlock client host_status [-s LOCKSPACE] [-D]
sanlock client renewal -s LOCKSPACE
sanlock client set_event -s LOCKSPACE -i <host_id> [-g <gen>] -e <event> -d <data>
sanlock client set_host -s LOCKSPACE -i <host_id> [-g <gen>] -F DEAD_EXT
sanlock client set_config -s LOCKSPACE [-u 0|1] [-O 0|1]
sanlock client log_dump
sanlock client shutdown [-f 0|1] [-w 0|1]
sanlock client init -s LOCKSPACE | -r RESOURCE [-z 0|1] [-Z 512|4096 -A 1M|2M|4M|8M]
sanlock client read -s LOCKSPACE | -r RESOURCE [-D] [-h 0|1]
sanlock client align -s LOCKSPACE
sanlock client add_lockspace -s LOCKSPACE [-o <io_timeout>]
sanlock client inq_lockspace -s LOCKSPACE
sanlock client rem_lockspace -s LOCKSPACE
sanlock client command -r RESOURCE -c <path> <args>
sanlock client acquire -r RESOURCE -p <pid>
sanlock client convert -r RESOURCE -p <pid>
sanlock client release -r RESOURCE -p <pid>
sanlock client inquire -p <pid>
sanlock client request -r RESOURCE -f <force_mode>
sanlock client examine -r RESOURCE | -s LOCKSPACE
sanlock client format -x RINDEX [-Z 512|4096 -A 1M|2M|4M|8M]
sanlock client create -x RINDEX -e <resource_name>
sanlock client delete -x RINDEX -e <resource_name>[:<offset>]
sanlock client lookup -x RINDEX [-e <resource_name>:<offset>]
sanlock client update -x RINDEX -e <resource_name>[:<offset>] [-z 0|1]
sanlock client rebuild -x RINDEX
sanlock client version

sanlock direct <action> [-a 0|1] [-o <io_timeout>] [-Z 512|4096 -A 1M|2M|4M|8M]
sanlock direct init -s LOCKSPACE | -r RESOURCE [-z 0|1]
sanlock direct read_leader -s LOCKSPACE | -r RESOURCE
sanlock direct dump <path>[:<offset>[:<size>]] [-f 1|2]
sanlock direct next_free <path>[:<offset>]
sanlock direct acquire | release -r RESOURCE -i <host_id> -g <gen>
sanlock direct acquire_id | renew_id | release_id -s LOCKSPACE [-e <host_name>]
sanlock direct format -x RINDEX
sanlock direct lookup -x RINDEX [-e <resource_name>:<offset>]
sanlock direct update -x RINDEX -e <resource_name>[:<offset>] [-z 0|1]
sanlock direct rebuild -x RINDEX

LOCKSPACE = <lockspace_name>:<host_id>:<path>:<offset>
RESOURCE  = <lockspace_name>:<resource_name>:<path>:<offset>[:<lver>|:SH]
RINDEX    = <lockspace_name>:<path>:<offset>
  <host_id>     number of this host in the lockspace, 1 and up
  <path>        storage set aside for leases; write : and blanks as \\: and \\<blank>
  <offset>      bytes, or <n>M
  <lver>        acquire only this lease version; SH acquires shared

Limits:
sector/area sizes: 512/1M, 4K/1M, 4K/2M, 4K/4M, 4K/8M
highest host_id for each: 2000, 250, 500, 1000, 2000
longest lockspace or resource name: 48 bytes
longest path: 1023 bytes
leases per acquire: 8
`;
