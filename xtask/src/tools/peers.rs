//! The peers of the measurements: nginx with its Lua module, and HAProxy, unpacked from Debian's packages.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::debian::{download, find, script, unpack};
use super::{Stamp, empty_folder};
use crate::Places;
use crate::process::quiet;

/// The programs, and of what they depend on all that a small Debian does not have.
const PACKAGES: &[&str] = &[
    "haproxy",
    "liblua5.3-0",
    "libluajit2-5.1-2",
    "libluajit2-5.1-common",
    "libnginx-mod-http-lua",
    "libnginx-mod-http-ndk",
    "libopentracing-c-wrapper0",
    "libopentracing1",
    "libpcre2-8-0",
    "libpcre3",
    "lua-cjson",
    "lua-resty-core",
    "lua-resty-lrucache",
    "nginx",
];

/// Unpacks the packages unless they are there; their folder.
pub fn set_up(places: &Places) -> Result<PathBuf, String> {
    let tools = places.target.join("tools");
    let folder = tools.join("peers");
    let release = std::fs::read_to_string("/etc/debian_version").unwrap_or_default();
    let stamp = Stamp { file: tools.join("peers.stamp"), text: format!("{release}{PACKAGES:?}\n") };
    if stamp.is_right() && self_check(&folder).is_ok() {
        eprintln!("peers: {} is up to date", folder.display());
        return Ok(folder);
    }
    std::fs::create_dir_all(&tools).map_err(|error| format!("cannot make {}: {error}", tools.display()))?;
    stamp.remove();
    empty_folder(&folder)?;
    eprintln!("peers: unpacking {} into {}", PACKAGES.join(", "), folder.display());
    let archives = tools.join("peers-archives");
    empty_folder(&archives)?;
    download(&tools, &archives, PACKAGES, "there is nothing to compare with")?;
    unpack(&archives, &folder)?;
    wrap(&folder)?;
    self_check(&folder)?;
    stamp.write()?;
    Ok(folder)
}

/// Small scripts that tell the programs where their libraries are, and the folder of Lua's libraries under a name that is the same on
/// every architecture.
fn wrap(folder: &Path) -> Result<(), String> {
    let inside = |file: PathBuf| {
        let place = file.parent().and_then(|parent| parent.strip_prefix(folder).ok());
        place.map(|place| format!("$here/{}", place.display())).unwrap_or_default()
    };
    let library = |part: &str, name: &str| {
        find(&folder.join(part), name).map(inside).ok_or_else(|| format!("no {name} in Debian's packages"))
    };
    let libraries = [library("usr/lib", "libluajit-5.1.so.2")?, library("", "libpcre.so.3")?].join(":");
    for program in ["nginx", "haproxy"] {
        let text = format!(
            "#!/bin/sh\nhere=$(cd \"$(dirname \"$0\")/..\" && pwd)\nexport LD_LIBRARY_PATH=\"{libraries}\"\n\
             exec \"$here/usr/sbin/{program}\" \"$@\"\n"
        );
        script(&folder.join("bin").join(program), &text)?;
    }
    let lua = find(&folder.join("usr/lib"), "5.1").ok_or("lua-cjson has no library for Lua 5.1")?;
    let lua = lua.strip_prefix(folder).map_err(|error| error.to_string())?;
    symlink(lua, folder.join("lua")).map_err(|error| format!("cannot link {}: {error}", lua.display()))
}

/// They start, and the Lua module has what it loads.
fn self_check(folder: &Path) -> Result<(), String> {
    for program in ["nginx", "haproxy"] {
        quiet(Command::new(folder.join("bin").join(program)).arg("-v"))?;
    }
    let needed =
        ["lua/cjson.so", "usr/share/lua/5.1/resty/core.lua", "usr/lib/nginx/modules/ngx_http_lua_module.so"];
    match needed.iter().find(|file| !folder.join(file).exists()) {
        Some(missing) => Err(format!("Debian's packages have no {missing}")),
        None => Ok(()),
    }
}
