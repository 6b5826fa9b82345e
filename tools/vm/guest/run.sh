#!/run/vm/busybox sh
# The guest's second program, in the machine's own root: mounts what a node has, runs the command of this run with its two
# output streams on two ports of the virtual machine, and reports its exit status on a third.
vm=/run/vm
b=$vm/busybox
. $vm/settings

port() { # the device of a named port
    for port in /sys/class/virtio-ports/*; do
        read -r name < "$port/name"
        [ "$name" != "$1" ] || { echo "/dev/${port##*/}"; return; }
    done
}

prepare() {
    $b mkdir -p /dev/pts /dev/shm /run/lock /var/lib/bulkhead /lib/modules # a machine without a kernel of its own has none
    $b mount -t tmpfs -o mode=1777 tmpfs /tmp
    $b mount -t devpts devpts /dev/pts
    $b mount -t tmpfs -o mode=1777 tmpfs /dev/shm
    $b mount -t tmpfs -o mode=700 tmpfs /var/lib/bulkhead
    $b mount -t cgroup2 cgroup2 /sys/fs/cgroup
    $b mount -t bpf bpf /sys/fs/bpf
    $b mount -t securityfs securityfs /sys/kernel/security
    $b mount -t tracefs tracefs /sys/kernel/tracing
    $b mount -t debugfs debugfs /sys/kernel/debug
    if [ ! -e "$CHECKOUT" ]; then # it lies under /tmp or /run, which are the guest's own
        $b mkdir -p "$CHECKOUT"
        $b mount -o bind $vm/checkout "$CHECKOUT"
    fi
    $b umount $vm/checkout
    $b mkdir -p "$RESULTS"
    $b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 results "$RESULTS"
    $b mount -o bind "$MODULES" /lib/modules
    $b ip link set lo up
    $b hostname bulkhead-vm
    ulimit -n 65536
}

end_others() { # whatever the command left behind: nothing may hold its output streams open
    for entry in /proc/[0-9]*; do
        pid=${entry#/proc/}
        case $pid in 1 | "$out_pid" | "$err_pid") ;; *) kill -9 "$pid" ;; esac
    done 2>/dev/null
}

echo "guest: begins" > /dev/console # from here on a panic is news: tools.vm.boot starts nothing over

set -e # without all of this the guest is no use: it ends, and its console says why
cd /
prepare
$b mkfifo $vm/stdout $vm/stderr
$b cat $vm/stdout > "$(port stdout)" & out_pid=$!
$b cat $vm/stderr > "$(port stderr)" & err_pid=$!
cd "$CHECKOUT"
set +e
$b setsid $b sh $vm/command < /dev/null > $vm/stdout 2> $vm/stderr
status=$?
end_others
wait $out_pid $err_pid
echo "$status" > "$(port status)"
$b reboot -f
