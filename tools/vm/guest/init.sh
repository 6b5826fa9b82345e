#!/vm/busybox sh
# The guest's first program, in the initial archive: loads the drivers and makes a root file system of the machine's own
# files, which stay as they are: an overlay keeps what the guest writes in its memory. Then run.sh goes on in that root.
PATH=/vm
b=/vm/busybox
set -e
$b mkdir -p /dev /proc /sys /machine /memory /root
. /vm/settings
$b mount -t devtmpfs devtmpfs /dev
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
for module in /modules/*.ko; do
    [ ! -e "$module" ] || $b insmod "$module"
done
$b mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose machine /machine
$b mount -t tmpfs -o mode=755,size=75% tmpfs /memory
$b mkdir /memory/upper /memory/work
$b mount -t overlay -o lowerdir=/machine,upperdir=/memory/upper,workdir=/memory/work,xino=off overlay /root
$b mount --move /dev /root/dev
$b mount --move /proc /root/proc
$b mount --move /sys /root/sys
$b mkdir /memory/checkout # before a file system is mounted over a part of its path
$b mount -o bind "/root/$CHECKOUT" /memory/checkout
$b mount -t tmpfs -o mode=755 tmpfs /root/run
$b mkdir /root/run/vm
$b cp /vm/* /root/run/vm/
$b mkdir /root/run/vm/checkout
$b mount -o bind "/memory/checkout" /root/run/vm/checkout
exec $b switch_root /root /run/vm/run.sh
