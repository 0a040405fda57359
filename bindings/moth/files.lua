--- Files and directories as the Lua side needs them, by what stock Lua and a POSIX shell offer.

local core = require "moth.core"
local options = require "moth.options"

local files = {}

--- A word for the shell that means exactly this text.
---@param text string
---@return string
function files.quote(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- The directory part of a path, nil when it has none.
---@param path string
---@return string?
function files.directory(path)
    local directory = path:match("^(.*)/[^/]*$")
    return directory == "" and "/" or directory
end

--- Whether a file (or directory) can be opened.
---@param path string
---@return boolean
function files.exists(path)
    local file = io.open(path, "rb")
    if file then
        file:close()
    end
    return file ~= nil
end

--- Makes a directory and those above it; one that exists is fine.
---@param path string
function files.make_directory(path)
    if path:find("\0", 1, true) then
        options.fail(("a path must not hold a zero byte; got %s"):format(options.show(path)))
    end
    if not files.exists(path) and not os.execute("mkdir -p -- " .. files.quote(path) .. " 2>/dev/null") then
        options.fail(("cannot make the directory %s"):format(options.show(path)))
    end
end

--- Makes the directory that a file is to be written in.
---@param path string  of the file
function files.make_parent(path)
    local directory = files.directory(path)
    if directory then
        files.make_directory(directory)
    end
end

--- The content of a file.
---@param path string
---@return string
function files.read(path)
    local file, problem = io.open(path, "rb")
    local text
    if file then
        text, problem = file:read("a")
        file:close()
    end
    if not text then
        options.fail(("cannot read %s"):format(problem or path))
    end
    return text
end

--- Replaces a file as a whole: a reader sees the old content or the new one.
---@param path string
---@param text string
function files.write(path, text)
    core.write_file(path, text)
end

return files
