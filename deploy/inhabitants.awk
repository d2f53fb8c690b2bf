# Of a namespace's objects (kind/name, its instance, deploy/project, owner/name of Helm's), those of others.
$1 == "ConfigMap/kube-root-ca.crt" || $1 == "ServiceAccount/default" { next }
$1 == "Lease/" project "-deploy" || $1 == "ConfigMap/" project "-deploy" { next }
index($0, " " project " ") || index($0, " " project "-redis ") { next }
$NF == "helm/" project || $NF == "helm/" project "-redis" { next }
NF { print $1 }
