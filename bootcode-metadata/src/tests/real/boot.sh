# One boot, in systemd's order; the network is started as netplan's generator and networkd do it.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
[ ! -s /etc/hostname ] || hostname -F /etc/hostname
network=
network() {
    netplan generate
    # The ends of a virtual cable have no address that is theirs for ever.
    sed -i s/^PermanentMACAddress=/MACAddress=/ /run/systemd/network/*.network
    [ -z "$network" ] || { kill "$network"; wait "$network" || true; }
    /lib/systemd/systemd-networkd >>/run/networkd.log 2>&1 &
    network=$!
    tries=0
    until ip -4 -o address show scope global | grep -q inet; do
        tries=$((tries + 1))
        [ $tries -lt 150 ] || { echo "no address"; cat /run/networkd.log; exit 1; }
        sleep 0.1
    done
}
cloud-init init --local
network
cloud-init init
network
cloud-init modules --mode=config
cloud-init modules --mode=final
hostname
ip -4 -o address show scope global
ip -4 route show
kill "$network"
# It takes its files in /run with it, which are copied from there.
wait "$network" || true
