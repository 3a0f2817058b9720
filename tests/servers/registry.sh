# Debian's docker-registry (distribution 2.8), filesystem, no authentication: the peer of the benchmarks and a source for
# copies. env: DOCKER_REGISTRY (host:port).
registry_start()
{
	local dir=$1 port=${PORT:-$(free_port)}
	command -v docker-registry >/dev/null || die "docker-registry is not installed"
	mkdir -p "$dir/data"
	cat >"$dir/config.yml" <<-END
		version: 0.1
		log: {level: warn, accesslog: {disabled: true}}
		storage: {filesystem: {rootdirectory: $dir/data}, delete: {enabled: true}}
		http: {addr: "127.0.0.1:$port"}
	END
	: >"$dir/env"
	say_env "$dir" DOCKER_REGISTRY "127.0.0.1:$port"
	spawn "$dir" registry "$(id -un)" docker-registry serve "$dir/config.yml"
	until_ok 20 curl -fs "http://127.0.0.1:$port/v2/" || { cat "$dir/registry.log" >&2; die "docker-registry does not answer"; }
}

registry_stop()
{
	stop_pid "$1/registry.pid" 20
}
