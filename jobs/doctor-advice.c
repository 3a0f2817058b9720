/* kade-doctor: which directive cures which trouble, in each web server's own words. The settings are those of
 * the example configurations; each was tried with the server named. */
#include "doctor.h"

static const char *const NAME[SERVERS] = {
	[SERVER_UNKNOWN] = "unknown",        [SERVER_LIGHTTPD] = "lighttpd",
	[SERVER_APACHE] = "Apache",          [SERVER_PROXY_FCGI] = "Apache mod_proxy_fcgi",
	[SERVER_FCGID] = "Apache mod_fcgid", [SERVER_NGINX] = "nginx",
};

static const char *const ADVICE[TROUBLES][SERVERS] = {
	[TROUBLE_NOT_REACHED] = {
		[SERVER_LIGHTTPD] = "Pass every path to the pool:\n"
		                    "fastcgi.server = ( \"/\" => (( \"socket\" => "
"\"/run/kade/kade.sock\", \"check-local\" => \"disable\","
		                    " \"fix-root-scriptname\" => \"enable\" )) )",
		[SERVER_PROXY_FCGI] = "Pass every path to the pool (502 or 503: is it running, may "
"Apache open its socket?):\n"
		                      "ProxyPass \"/\" \"unix:/run/kade/kade.sock|fcgi://kade/\" "
"timeout=900 flushpackets=on",
		[SERVER_FCGID] = "Pass every path to the program (mind the slash at the end of both):\n"
		                 "ScriptAlias / /usr/lib/kade/kade.fcgi/",
		[SERVER_NGINX] = "Pass every path to the pool (502: is it running, may nginx open its "
"socket?):\n"
		                 "location / { fastcgi_pass unix:/run/kade/kade.sock; include "
"fastcgi_params; }",
	},
	[TROUBLE_AUTH] = {
		[SERVER_LIGHTTPD] = "lighttpd passes Authorization on: look for "
"setenv.set-request-header or a proxy in front that drops it.",
		[SERVER_PROXY_FCGI] = "Apache keeps Authorization to itself unless told otherwise:\n"
		                      "<Location \"/\">\n"
		                      "  CGIPassAuth On\n"
		                      "</Location>",
		[SERVER_FCGID] = "Apache keeps Authorization to itself unless told otherwise:\n"
		                 "FcgidPassHeader Authorization",
		[SERVER_NGINX] = "nginx passes Authorization on: look for  fastcgi_param "
"HTTP_AUTHORIZATION \"\";  or"
		                 "  fastcgi_pass_request_headers off;  or a proxy in front that drops it.",
	},
	[TROUBLE_ACCEPT] = {
		[SERVER_LIGHTTPD] = "lighttpd joins repeated lines: look for a proxy or cache in front "
"that keeps one.",
		[SERVER_PROXY_FCGI] = "Apache joins repeated lines: look for  RequestHeader set Accept  "
"or a proxy in front that keeps one.",
		[SERVER_FCGID] = "Apache joins repeated lines: look for  RequestHeader set Accept  or a "
"proxy in front that keeps one.",
		[SERVER_NGINX] = "nginx passes one parameter per line and the pool joins them: look for "
" fastcgi_param HTTP_ACCEPT"
		                 " $http_accept;  (it holds one line only) and remove it.",
	},
	[TROUBLE_CHUNKED_411] = {
		[SERVER_LIGHTTPD] = "Request streaming refuses bodies without a length. Stream only "
"where the length is known:\n"
		                    "server.stream-request-body = 0\n"
		                    "$REQUEST_HEADER[\"Content-Length\"] != \"\" { "
"server.stream-request-body = 1 }",
		[SERVER_PROXY_FCGI] = "Something in front asks for a length: look for  SetEnv "
"proxy-sendcl  and for a proxy in front.",
		[SERVER_FCGID] = "Something in front asks for a length: look for a proxy in front.",
		[SERVER_NGINX] = "Upload requests must be passed on as they come:\n"
		                 "fastcgi_request_buffering off;\n"
		                 "chunked_transfer_encoding on;",
	},
	[TROUBLE_BODY_LIMIT] = {
		[SERVER_LIGHTTPD] = "Layers are larger than the limit (KiB; 0 = none; it may also stand "
"in a condition):\n"
		                    "server.max-request-size = 0",
		[SERVER_PROXY_FCGI] = "Layers are larger than the limit:\n"
		                      "LimitRequestBody 0",
		[SERVER_FCGID] = "Layers are larger than the limits:\n"
		                 "LimitRequestBody 0\n"
		                 "FcgidMaxRequestLen 21474836480",
		[SERVER_NGINX] = "Layers are larger than the limit (1 MiB where nothing is said):\n"
		                 "client_max_body_size 0;",
	},
	[TROUBLE_BODY_500] = {
		[SERVER_LIGHTTPD] = "The program ended in the middle (see the error log), or the spool "
"folder lacks room or is not writable:\n"
		                    "server.upload-dirs = ( \"/var/cache/lighttpd/uploads\" )",
		[SERVER_PROXY_FCGI] = "Look into the error log; with mod_proxy_fcgi no directive limits "
"the body this way.",
		[SERVER_FCGID] = "mod_fcgid answers 500 above 128 KiB unless told otherwise; $TMPDIR of "
"httpd must have room:\n"
		                 "FcgidMaxRequestLen 21474836480\n"
		                 "LimitRequestBody 0",
		[SERVER_NGINX] = "The spool folder must exist, be writable and have room; better, do "
"not spool:\n"
		                 "fastcgi_request_buffering off;",
	},
	[TROUBLE_BODY_CUT] = {
		[SERVER_LIGHTTPD] = "Look into the error log and at the room in server.upload-dirs.",
		[SERVER_PROXY_FCGI] = "A limit cuts the body without telling the application:\n"
		                      "LimitRequestBody 0",
		[SERVER_FCGID] = "mod_fcgid passes a body over this limit on cut or empty, as if it "
"were whole: data is lost silently.\n"
		                 "LimitRequestBody 0\n"
		                 "FcgidMaxRequestLen 21474836480",
		[SERVER_NGINX] = "fastcgi_request_buffering off;\n"
		                 "client_max_body_size 0;",
	},
	[TROUBLE_BODY_TIME] = {
		[SERVER_LIGHTTPD] = "server.max-read-idle = 900\n"
		                    "server.max-write-idle = 900",
		[SERVER_PROXY_FCGI] = "ProxyPass \"/\" \"unix:/run/kade/kade.sock|fcgi://kade/\" "
"timeout=900 flushpackets=on\n"
		                      "(and mod_reqtimeout:  RequestReadTimeout body=0)",
		[SERVER_FCGID] = "FcgidIOTimeout 900\n"
		                 "FcgidBusyTimeout 3600",
		[SERVER_NGINX] = "fastcgi_read_timeout 900s;\n"
		                 "fastcgi_send_timeout 900s;",
	},
	[TROUBLE_SPOOLED] = {
		[SERVER_LIGHTTPD] = "The body is written to disk before the registry may refuse it. Let "
"it be asked first (no docroot in"
		                    " the authorizer's entry) and give server.upload-dirs a file system "
"of its own:\n"
		                    "fastcgi.server = ( \"/v2/\" => (( \"socket\" => "
"\"/run/kade/kade.sock\", \"mode\" => \"authorizer\","
		                    " \"check-local\" => \"disable\" )),\n"
		                    "                   \"/\" => (( \"socket\" => "
"\"/run/kade/kade.sock\", \"check-local\" => \"disable\","
		                    " \"fix-root-scriptname\" => \"enable\" )) )",
		[SERVER_PROXY_FCGI] = "mod_proxy_fcgi passes bodies on as they come unless  SetEnv "
"proxy-sendcl  is set: remove it.",
		[SERVER_FCGID] = "mod_fcgid always takes the whole body first. Put its $TMPDIR on a "
"file system of its own, or use"
		                 " mod_proxy_fcgi:\n"
		                 "ProxyPass \"/\" \"unix:/run/kade/kade.sock|fcgi://kade/\" timeout=900 "
"flushpackets=on",
		[SERVER_NGINX] = "The body is written to disk before the registry may refuse it:\n"
		                 "fastcgi_request_buffering off;",
	},
	[TROUBLE_EXPECT] = {
		[SERVER_PROXY_FCGI] = "Look for  RequestHeader unset Expect  and for a proxy in front.",
		[SERVER_FCGID] = "Look for  RequestHeader unset Expect  and for a proxy in front.",
		[SERVER_LIGHTTPD] = "Look for a proxy in front that drops Expect.",
		[SERVER_NGINX] = "Look for a proxy in front that drops Expect.",
	},
	[TROUBLE_LENGTH] = {
		[SERVER_LIGHTTPD] = "Look for mod_deflate (deflate.mimetypes) or a proxy in front.",
		[SERVER_PROXY_FCGI] = "Since 2.4.59 Apache drops the application's Content-Length (at "
"server or virtual host level):\n"
		                      "SetEnv ap_trust_cgilike_cl 1",
		[SERVER_FCGID] = "Look for mod_deflate or another filter on this host:\n"
		                 "SetEnv no-gzip 1",
		[SERVER_NGINX] = "Look for  gzip on;  and  chunked_transfer_encoding ; for the "
"registry's host:\n"
		                 "gzip off;",
	},
	[TROUBLE_RANGE] = {
		[SERVER_LIGHTTPD] = "If ranges are cut twice, leave them to the registry:\n"
		                    "server.range-requests = \"disable\"",
		[SERVER_PROXY_FCGI] = "SetEnv ap_trust_cgilike_cl 1\n"
		                      "(and no  RequestHeader unset Range ,  MaxRanges none)",
		[SERVER_FCGID] = "Look for  RequestHeader unset Range  and  MaxRanges none.",
		[SERVER_NGINX] = "Look for  max_ranges 0;  fastcgi_force_ranges on;  and gzip on this host.",
	},
	[TROUBLE_COMPRESSED] = {
		[SERVER_LIGHTTPD] = "Take the registry's types out of the list, or for its host:\n"
		                    "deflate.mimetypes = ( )",
		[SERVER_PROXY_FCGI] = "mod_deflate and mod_brotli must leave the registry alone:\n"
		                      "<LocationMatch \"^/(v1|v2|cnr)(/|$)\">\n"
		                      "  SetEnv no-gzip 1\n"
		                      "  SetEnv no-brotli 1\n"
		                      "</LocationMatch>",
		[SERVER_FCGID] = "mod_deflate and mod_brotli must leave the registry alone:\n"
		                 "<LocationMatch \"^/(v1|v2|cnr)(/|$)\">\n"
		                 "  SetEnv no-gzip 1\n"
		                 "  SetEnv no-brotli 1\n"
		                 "</LocationMatch>",
		[SERVER_NGINX] = "In the registry's location:\n"
		                 "gzip off;",
	},
	[TROUBLE_SLASH] = {
		[SERVER_LIGHTTPD] = "server.http-parseopts = ( \"url-path-2f-decode\" => \"disable\", "
"\"url-path-2f-reject\" => \"disable\" )",
		[SERVER_PROXY_FCGI] = "AllowEncodedSlashes NoDecode\n"
		                      "MergeSlashes Off",
		[SERVER_FCGID] = "AllowEncodedSlashes NoDecode",
		[SERVER_NGINX] = "fastcgi_param REQUEST_URI $request_uri;",
	},
	[TROUBLE_HEADER_SIZE] = {
		[SERVER_LIGHTTPD] = "Tokens for many repositories are long:\n"
		                    "server.max-request-field-size = 16384",
		[SERVER_PROXY_FCGI] = "Tokens for many repositories are long:\n"
		                      "LimitRequestFieldSize 16380",
		[SERVER_FCGID] = "Tokens for many repositories are long:\n"
		                 "LimitRequestFieldSize 16380",
		[SERVER_NGINX] = "Tokens for many repositories are long:\n"
		                 "large_client_header_buffers 4 16k;",
	},
	[TROUBLE_TLS] = {
		[SERVER_LIGHTTPD] = "ssl.pemfile must hold the certificate and the intermediate ones; "
"ssl.privkey its key.",
		[SERVER_PROXY_FCGI] = "SSLCertificateFile must hold the certificate and the "
"intermediate ones.",
		[SERVER_FCGID] = "SSLCertificateFile must hold the certificate and the intermediate ones.",
		[SERVER_NGINX] = "ssl_certificate must hold the certificate and the intermediate ones.",
	},
};

const char *
advice_for(enum trouble t, enum server s)
{
	return ADVICE[t][s];
}

const char *
advice_server_name(enum server s)
{
	return NAME[s];
}

bool
advice_server_of_hint(const char *hint, enum server *out)
{
	static const struct {
		const char *word;
		enum server server;
	} HINT[] = {
		{"lighttpd",           SERVER_LIGHTTPD  },
		{ "apache",            SERVER_APACHE    },
		{ "apache-proxy-fcgi", SERVER_PROXY_FCGI},
		{ "apache-fcgid",      SERVER_FCGID     },
		{ "nginx",             SERVER_NGINX     }
	};

	for (size_t i = 0; i < sizeof HINT / sizeof *HINT; i++)
		if (strcmp(hint, HINT[i].word) == 0) {
			*out = HINT[i].server;
			return true;
		}
	return false;
}

enum server
advice_server_of_header(struct str server)
{
	const char *p = server.n == 0 ? NULL : memmem(server.p, server.n, "mod_fcgid", 9);

	if (str_starts(server, STR("lighttpd")))
		return SERVER_LIGHTTPD;
	if (str_starts(server, STR("nginx")))
		return SERVER_NGINX;
	if (str_starts(server, STR("Apache")))
		return p != NULL ? SERVER_FCGID : SERVER_APACHE;
	return SERVER_UNKNOWN;
}
