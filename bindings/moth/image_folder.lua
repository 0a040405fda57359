--- Pictures sorted into folders, for moth.datasets.image_folder.

local core = require "moth.core"
local options = require "moth.options"

local image_folder = {}

---@class moth.ImageFolderOptions
---@field size? integer|integer[]  height and width that all pictures are brought to, or one number for both; without
---   it all must have the same
---@field channels? integer  1 grey, 3 RGB, 4 RGBA; default: 1 where all pictures are grey, else 3
---@field grayscale? boolean  the same as channels = 1
---@field classes? string[]  the folders in the order of their ids; default: all, sorted
---@field orient? boolean  turn pictures as their EXIF data say

local function picture_size(value)
    local list = math.type(value) and { value, value } or value
    if type(list) == "table" and #list == 2 then
        local height, width = math.tointeger(list[1]), math.tointeger(list[2])
        if height and width and height >= 1 and width >= 1 and height <= 16384 and width <= 16384 then
            return { height, width }
        end
    end
    return nil, "a number of pixels from 1 to 16384, or { height, width }"
end

local spec = {
    name = "datasets.image_folder", positionals = 0,
    { "size", picture_size },
    { "channels", { 1, 3, 4 } },
    { "grayscale", "boolean" },
    { "classes", options.names },
    { "orient", "boolean", default = false },
}

local endings = { png = true, jpg = true, jpeg = true, bmp = true }

local function fail(message, ...)
    options.fail(("datasets.image_folder: " .. message):format(...))
end

local function check_folder(path)
    local folder, reason = io.open(path .. "/.", "rb")
    if not folder then
        fail("%s: cannot open: %s", path, (reason:gsub("^.*: ", "")))
    end
    folder:close()
end

-- The folders in it, or the pictures in it, sorted; what begins with a dot is passed over.
local function entries(path, folders)
    check_folder(path)
    local list = {}
    for _, name in ipairs(core.list_directory(path)) do
        local folder = name:match "^(.*)/$"
        local picture = not folder and endings[(name:match "%.(%w+)$" or ""):lower()]
        if not name:find "^%." and (folders and folder or not folders and picture) then
            list[#list + 1] = folder or name
        end
    end
    table.sort(list)
    return list
end

-- Alpha is dropped where nobody asked for it.
local function load(path, read, channels)
    local t = core.image_load(path, channels, read.orient)
    if not channels and t.shape[3] % 2 == 0 then
        t = core.image_load(path, t.shape[3] - 1, read.orient)
    end
    return read.size and core.image_resize(t, read.size[1], read.size[2]) or t
end

local function check_size(t, path, first, first_path)
    if t.shape[1] ~= first.shape[1] or t.shape[2] ~= first.shape[2] then
        fail("%s is %d x %d, but %s is %d x %d; size = { height, width } brings all to one size", path, t.shape[1],
            t.shape[2], first_path, first.shape[1], first.shape[2])
    end
end

-- Grey pictures among coloured ones get three equal channels.
local function even_out(list)
    local most = 1
    for _, t in ipairs(list) do
        most = math.max(most, t.shape[3])
    end
    for i, t in ipairs(list) do
        if t.shape[3] < most then
            list[i] = core.cat({ t, t, t }, 3)
        end
    end
end

local function find_pictures(path, classes)
    local paths, ids = {}, {}
    for id, class in ipairs(classes) do
        for _, name in ipairs(entries(path .. "/" .. class, false)) do
            paths[#paths + 1] = ("%s/%s/%s"):format(path, class, name)
            ids[#ids + 1] = id - 1
        end
    end
    return paths, ids
end

--- See moth.datasets.image_folder.
---@param path string
---@param args? moth.ImageFolderOptions
---@return table
function image_folder.read(path, args)
    if type(path) ~= "string" or path:find("\0", 1, true) then
        fail("path must be a text; got %s", options.show(path))
    end
    local read = options.read(spec, args)
    if read.grayscale and read.channels and read.channels ~= 1 then
        fail("grayscale and channels = %d contradict each other", read.channels)
    end
    path = #path > 1 and path:gsub("/+$", "") or path
    local classes = read.classes or entries(path, true)
    if #classes == 0 then
        fail("%s holds no folder, and each class is one", path)
    end
    local paths, ids = find_pictures(path, classes)
    if #paths == 0 then
        fail("the folders of %s (%s) hold no PNG, JPEG or BMP file", path, table.concat(classes, ", "))
    end
    local list, channels = {}, read.grayscale and 1 or read.channels
    for i, file in ipairs(paths) do
        list[i] = load(file, read, channels)
        check_size(list[i], file, list[1], paths[1])
    end
    even_out(list)
    return { x = core.stack(list, 1), y = core.tensor(ids, { dtype = "int32" }), classes = classes, paths = paths }
end

return image_folder
