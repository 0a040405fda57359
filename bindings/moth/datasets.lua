--- moth.datasets: MNIST and other IDX files, tables in text, folders of pictures, digits that need no file.

local core = require "moth.core"
local files = require "moth.files"
local options = require "moth.options"

local datasets = {}

-- The checkout that the module or the program was built in, with a slash behind; nil when it is installed.
local function checkout()
    -- Within the program require has no file to name, only a word.
    local build = core.file and files.directory(core.file) or files.directory(core.executable() or "") or "."
    local root = build:match "^(.*/)[^/.][^/]*$" or build .. "/../"
    return files.exists(root .. "data/fetch") and root or nil
end

-- Where the four files may lie, in this order: MOTH_DATA alone when it is set.
local function folders()
    local given = os.getenv("MOTH_DATA")
    if given and given ~= "" then
        return { given }
    end
    local list = { "data/mnist" }
    local root = not files.exists "data/fetch" and checkout()
    if root then
        list[#list + 1] = root .. "data/mnist"
    end
    local share = os.getenv("XDG_DATA_HOME")
    local home = os.getenv("HOME")
    if share and share ~= "" then
        list[#list + 1] = share .. "/moth/mnist"
    elseif home then
        list[#list + 1] = home .. "/.local/share/moth/mnist"
    end
    return list
end

local function find(name)
    for _, folder in ipairs(folders()) do
        for _, ending in ipairs { "", ".gz" } do
            local path = ("%s/%s%s"):format(folder, name, ending)
            if files.exists(path) then
                return path
            end
        end
    end
    options.fail(("datasets.mnist: %s is not in %s; run ./setup, or set MOTH_DATA to the folder that holds it"):format(
        name, table.concat(folders(), " or ")))
end

-- Labels come as bytes; as int32 they can be compared with what predict_classes gives.
local function pair(images, labels, classes)
    local x, y = core.read_idx_pair(images, labels, classes)
    return { x = x, y = y:to("int32") }
end

local mnist_spec = {
    name = "datasets.mnist", positionals = 0,
    { "images", "string" },
    { "labels", "string" },
    { "classes", "integer", default = 10, min = 1 },
}

--- MNIST as it was published (LeCun, Cortes, Burges 1998): `train, test`, each { x = uint8 (n, 28, 28),
-- y = int32 (n) }. With `images` and `labels` the one set that these files hold, labels below `classes` (10).
---@param args? { images: string, labels: string, classes?: integer }
---@return { x: moth.Tensor, y: moth.Tensor } train
---@return { x: moth.Tensor, y: moth.Tensor } test
function datasets.mnist(args)
    local read = options.read(mnist_spec, args)
    if read.images or read.labels then
        if not (read.images and read.labels) then
            options.fail("datasets.mnist: images and labels go together")
        end
        return pair(read.images, read.labels, read.classes)
    end
    local train = pair(find "train-images-idx3-ubyte", find "train-labels-idx1-ubyte", read.classes)
    local test = pair(find "t10k-images-idx3-ubyte", find "t10k-labels-idx1-ubyte", read.classes)
    return train, test
end

local digits_spec = {
    name = "datasets.digits", positionals = 0,
    { "n", "integer", default = 10000, min = 1, max = 10000000 },
    { "seed", "integer", default = 1, min = 0 },
}

--- Synthetic handwriting drawn by moth itself, in MNIST's form: needs no network.
---@param args? { n?: integer, seed?: integer }
---@return { x: moth.Tensor, y: moth.Tensor }
function datasets.digits(args)
    local read = options.read(digits_spec, args)
    local x, y = core.synthetic_digits(read.n, read.seed)
    return { x = x, y = y }
end

--- The tensor of an IDX file, plain or compressed.
---@param path string
---@return moth.Tensor
function datasets.idx(path)
    if type(path) ~= "string" then
        options.fail("datasets.idx: path must be a text; got " .. options.show(path))
    end
    return core.read_idx(path)
end

--- A table in text, such as spreadsheets write: `train = moth.datasets.csv("iris.csv", { target = "species" })`. Rows
-- are samples; x holds the numbers of all other columns. A target of whole numbers is int32, one of words becomes class
-- ids from 0 in the order of the sorted words.
---@param path string
---@param args? moth.CsvOptions
---@return { x: moth.Tensor, y?: moth.Tensor, columns?: string[], classes?: string[] }
function datasets.csv(path, args)
    return require("moth.csv").read(path, args)
end

--- Pictures (PNG, JPEG, BMP) in one folder for each class: x uint8 (n, height, width, channels), y int32 class ids from
-- 0, classes the names of the folders in sorted order, paths the files in the order of the samples.
---@param path string
---@param args? moth.ImageFolderOptions
---@return { x: moth.Tensor, y: moth.Tensor, classes: string[], paths: string[] }
function datasets.image_folder(path, args)
    return require("moth.image_folder").read(path, args)
end

return datasets
