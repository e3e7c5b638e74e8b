#!/run/vm/busybox sh
# Second step of the start: process 1 sets up what our daemons find on any host, then keeps the agent alive.
# The agent takes lines `<id> <base64 of a script>` and answers `<id> <status> <base64 of output>`.
export HOME=/root LANG=C.UTF-8
export PATH=/run/vm/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

if [ "$1" = boot ]; then
    /run/vm/busybox mount -t proc proc /proc
    mkdir -p /dev/pts /dev/shm
    mount -t devpts devpts /dev/pts
    mount -t tmpfs shm /dev/shm
    ln -s /proc/self/fd /dev/fd
    hostname "$(sed 's/.*vm.name=\([^ ]*\).*/\1/' /proc/cmdline)"
    while :; do setsid cttyhack sh -i; sleep 1; done </dev/ttyS0 >/dev/ttyS0 2>&1 &
    # `wait` also collects the orphans, which come to process 1.
    while :; do
        sh "$0" serve &
        wait $!
        sleep 1
    done
fi

serve() {
    echo "$2" | base64 -d >"/run/vm/$1"
    sh "/run/vm/$1" >"/run/vm/$1.out" 2>&1 </dev/null
    status=$?
    output=$(base64 -w 0 "/run/vm/$1.out")
    (flock 9; echo "$1 $status $output" >&3) 9>/run/vm/lock
}

for port in /dev/vport*p*; do
    exec 3<>"$port"
done
echo ready >&3
while read -r id script <&3; do
    serve "$id" "$script" &
done
