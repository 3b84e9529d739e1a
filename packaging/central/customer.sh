#!/bin/sh
# The customers that may write to the centre: makes their logins, and from them the files that nginx and vmauth read.
#
#   sh customer.sh add CUSTOMER [--tenant NUMBER]   a login; prints the lines for the customer's msp-agent.yaml
#   sh customer.sh rotate CUSTOMER        a second login; the one before stays valid, older ones do not
#   sh customer.sh revoke CUSTOMER --old  only the newest login stays valid: the end of a rotation
#   sh customer.sh revoke CUSTOMER        no login stays valid
#   sh customer.sh list                   the customers, with the number of valid logins and the date of the newest
#
#   --folder DIR                 where the files are; /etc/msp-central
#   --url URL                    what agents write to; remembered
#   --storage single:URL         what vmauth writes to, a VictoriaMetrics; remembered; single:http://127.0.0.1:8428
#   --storage cluster:URL        the same, the vminsert of a cluster
#
# It writes `customers` (all that it knows), `customers.map` and `tenants.map` for nginx, and `vmauth.yml`; each at
# once and as a whole, for the group of the folder to read. It restarts nothing: it prints how to apply the change.
set -eu
umask 027

folder=/etc/msp-central
url=
storage=
tenant=
old=
action=
customer=

fail() {
  printf 'customer.sh: %s\n' "$*" >&2
  exit 1
}

usage() {
  sed -n 's/^#   //p' "$0" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1 in
    --old) old=yes ;;
    --*)
      [ $# -ge 2 ] && [ -n "$2" ] || usage
      case $1 in
        --folder) folder=$2 ;;
        --url) url=$2 ;;
        --storage) storage=$2 ;;
        --tenant) tenant=$2 ;;
        *) usage ;;
      esac
      shift
      ;;
    *) if [ -z "$action" ]; then action=$1; elif [ -z "$customer" ]; then customer=$1; else usage; fi ;;
  esac
  shift
done
case $action in
  add | rotate | revoke) [ -n "$customer" ] || usage ;;
  list) [ -z "$customer" ] || usage ;;
  *) usage ;;
esac
[ -z "$tenant" ] || [ "$action" = add ] || usage
[ -z "$old" ] || [ "$action" = revoke ] || usage
# What becomes a part of a URL, of nginx's and of vmauth's configuration; the agent takes the same.
case $customer in
  -* | *- | *[!A-Za-z0-9_-]*)
    fail "$customer: a customer_id has a-z, A-Z, 0-9, '-' and '_' only, the first and last not '-'"
    ;;
esac
[ ${#customer} -le 63 ] || fail "$customer: a customer_id has 63 characters at most"
case $tenant in *[!0-9]*) fail "--tenant $tenant: a number is wanted" ;; esac
for address in "$url" "${storage#*:}"; do
  case $address in *[!A-Za-z0-9:/._%~-]* | *\[*) fail "$address: no plain URL" ;; esac
done
case $storage in '' | single:http* | cluster:http*) ;; *) fail "--storage $storage: single:URL or cluster:URL" ;; esac

[ -d "$folder" ] || fail "$folder is missing: install -d -m 2750 -g GROUP $folder, with the group of nginx or vmauth"
cd "$folder"
# Two at once would lose one's change. The lock is on the folder.
exec 9<.
flock 9
[ -e customers ] || : >customers
[ -e settings ] || : >settings

setting() { sed -n "s/^$1 //p" settings; }

replace() { # name; content on stdin
  cat >"$1.new"
  mv "$1.new" "$1"
}

if [ -n "$url$storage" ]; then
  : "${url:=$(setting url)}" "${storage:=$(setting storage)}"
  printf 'url %s\nstorage %s\n' "$url" "$storage" | replace settings
fi
url=$(setting url)
storage=$(setting storage)
: "${url:=https://monitor.example.com/api/v1/write}" "${storage:=single:http://127.0.0.1:8428}"

# customers has a line for each login, the oldest first: CUSTOMER TENANT DATE TOKEN. A customer without a valid login
# keeps a line with '-', so that its tenant is never given to another one.
logins() { awk -v name="$customer" '$1 == name && $4 != "-"' customers; }
known() { awk -v name="$customer" '$1 == name { print $2; exit }' customers; }
others() { awk -v name="$customer" '$1 != name' customers; }
new_token() { od -A n -t x1 -N 32 /dev/urandom | tr -d ' \n'; }

write_all() { # what this customer's lines are now, on stdin
  { others; cat; } | replace customers
  awk '$4 != "-" { print $1, $4 }' customers | while read -r name token; do
    printf '"Bearer %s" %s;\n' "$token" "$name"
    printf '"Basic %s" %s;\n' "$(printf '%s:%s' "$name" "$token" | base64 -w 0)" "$name"
  done | replace customers.map
  awk '$4 != "-" && !seen[$1]++ { print $1, $2 ";" }' customers | replace tenants.map
  {
    printf '# Written by customer.sh.\nusers:\n'
    awk '$4 != "-"' customers | while read -r name number _ token; do
      case $storage in
        single:*) prefix=${storage#*:} ;;
        cluster:*) prefix=${storage#*:}/insert/$number/prometheus ;;
      esac
      for login in "bearer_token: \"$token\"" "username: \"$name\"
  password: \"$token\""; do
        printf -- '- %s\n' "$login"
        printf '  url_map:\n  - src_paths: ["/api/v1/write"]\n    url_prefix: "%s/?extra_label=customer_id=%s"\n' \
          "${prefix%/}" "$name"
      done
    done
  } | replace vmauth.yml
  cat >&2 <<'TEXT'
Apply it:
  nginx -t && systemctl reload nginx
  systemctl kill --signal=HUP vmauth
TEXT
}

add_login() { # how many of the older ones stay
  token=$(new_token)
  [ ${#token} -eq 64 ] || fail "no random numbers from /dev/urandom"
  number=$1
  { logins | tail -n "$2"; printf '%s %s %s %s\n' "$customer" "$number" "$(date -u +%Y-%m-%d)" "$token"; } >lines.new
  write_all <lines.new
  rm lines.new
  cat <<YAML
# $customer: into /etc/msp-agent.yaml of the customer's servers
customer_id: $customer
remote_write:
  url: $url
  bearer_token: $token
YAML
}

case $action in
  list)
    awk '{ if (!($1 in n)) order[++count] = $1; n[$1] += $4 != "-"; tenant[$1] = $2; date[$1] = $3 }
      END { for (i = 1; i <= count; ++i) { c = order[i]; print c, "tenant " tenant[c], n[c] " logins", date[c] } }' \
      customers
    ;;
  add)
    [ -z "$(logins)" ] || fail "$customer has a login: rotate makes another one"
    alike=$(awk -v name="$customer" 'tolower($1) == tolower(name) && $1 != name { print $1; exit }' customers)
    [ -z "$alike" ] || fail "$customer: $alike differs in upper and lower case only, which nginx does not tell apart"
    number=$(known)
    [ -z "$number" ] || [ -z "$tenant" ] || [ "$number" = "$tenant" ] || fail "$customer is tenant $number already"
    : "${number:=${tenant:-$(awk '$2 > max { max = $2 } END { print max + 1 }' customers)}}"
    owner=$(awk -v number="$number" '$2 == number { print $1; exit }' customers)
    [ -z "$owner" ] || [ "$owner" = "$customer" ] || fail "tenant $number is $owner"
    add_login "$number" 0
    ;;
  rotate)
    [ -n "$(logins)" ] || fail "$customer has no login: add makes one"
    add_login "$(known)" 1
    ;;
  revoke)
    [ -n "$(logins)" ] || fail "$customer has no login"
    if [ -n "$old" ]; then
      logins | tail -n 1 >lines.new
    else
      printf '%s %s %s -\n' "$customer" "$(known)" "$(date -u +%Y-%m-%d)" >lines.new
    fi
    write_all <lines.new
    rm lines.new
    ;;
esac
